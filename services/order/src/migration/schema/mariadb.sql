CREATE TABLE `deliveries` (
  `order_id` binary(16) NOT NULL,
  `due_at` bigint(20) NOT NULL,
  `attempts` int(11) NOT NULL,
  `lease_epoch` bigint(20) NOT NULL,
  PRIMARY KEY (`order_id`),
  KEY `deliveries_due` (`due_at`),
  CONSTRAINT `deliveries_order` FOREIGN KEY (`order_id`) REFERENCES `orders` (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin
CREATE TABLE `idempotency_keys` (
  `user_id` binary(16) NOT NULL,
  `idempotency_key` varchar(255) NOT NULL,
  `body_hash` binary(32) NOT NULL,
  `order_id` binary(16) NOT NULL,
  `created_at` bigint(20) NOT NULL,
  PRIMARY KEY (`user_id`,`idempotency_key`),
  KEY `idempotency_keys_age` (`created_at`),
  KEY `idempotency_keys_order` (`order_id`),
  CONSTRAINT `idempotency_keys_order` FOREIGN KEY (`order_id`) REFERENCES `orders` (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin
CREATE TABLE `order_history` (
  `order_id` binary(16) NOT NULL,
  `version` bigint(20) NOT NULL,
  `from_status` varchar(16) DEFAULT NULL,
  `to_status` varchar(16) NOT NULL,
  `actor` varchar(64) NOT NULL,
  `reason` varchar(32) DEFAULT NULL,
  `note` text DEFAULT NULL,
  `at` bigint(20) NOT NULL,
  PRIMARY KEY (`order_id`,`version`),
  CONSTRAINT `order_history_order` FOREIGN KEY (`order_id`) REFERENCES `orders` (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin
CREATE TABLE `order_items` (
  `order_id` binary(16) NOT NULL,
  `position` int(11) NOT NULL,
  `product_id` binary(16) NOT NULL,
  `quantity` bigint(20) NOT NULL,
  `sku` varchar(64) DEFAULT NULL,
  `name` varchar(200) DEFAULT NULL,
  `unit_amount` bigint(20) DEFAULT NULL,
  `line_amount` bigint(20) DEFAULT NULL,
  `currency` varchar(3) DEFAULT NULL,
  `refusal` varchar(16) DEFAULT NULL,
  `available_then` bigint(20) DEFAULT NULL,
  PRIMARY KEY (`order_id`,`position`),
  CONSTRAINT `order_items_order` FOREIGN KEY (`order_id`) REFERENCES `orders` (`id`),
  CONSTRAINT `CONSTRAINT_1` CHECK (`quantity` > 0)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin
CREATE TABLE `orders` (
  `id` binary(16) NOT NULL,
  `user_id` binary(16) NOT NULL,
  `status` varchar(16) NOT NULL,
  `total_amount` bigint(20) DEFAULT NULL,
  `total_currency` varchar(3) DEFAULT NULL,
  `address` longtext NOT NULL CHECK (json_valid(`address`)),
  `reason` varchar(32) DEFAULT NULL,
  `expires_at` bigint(20) DEFAULT NULL,
  `version` bigint(20) NOT NULL,
  `created_at` bigint(20) NOT NULL,
  `updated_at` bigint(20) NOT NULL,
  PRIMARY KEY (`id`),
  KEY `orders_user_id_id` (`user_id`,`id`),
  KEY `orders_status_id` (`status`,`id`),
  KEY `orders_status_expires_at` (`status`,`expires_at`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin
CREATE TABLE `outbox` (
  `order_id` binary(16) NOT NULL,
  `version` bigint(20) NOT NULL,
  `event_type` varchar(32) NOT NULL,
  `data` longtext NOT NULL CHECK (json_valid(`data`)),
  `at` bigint(20) NOT NULL,
  `sent_at` bigint(20) DEFAULT NULL,
  PRIMARY KEY (`order_id`,`version`),
  KEY `outbox_sent_at_at` (`sent_at`,`at`),
  CONSTRAINT `outbox_order` FOREIGN KEY (`order_id`) REFERENCES `orders` (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin
CREATE TABLE `payment_notices` (
  `id` varchar(200) NOT NULL,
  `order_id` binary(16) NOT NULL,
  `body` mediumblob NOT NULL,
  `outcome` varchar(20) NOT NULL,
  `received_at` bigint(20) NOT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin
CREATE TABLE `payments` (
  `id` binary(16) NOT NULL,
  `order_id` binary(16) NOT NULL,
  `reference` varchar(200) NOT NULL,
  `amount` bigint(20) NOT NULL,
  `currency` varchar(3) NOT NULL,
  `outcome` varchar(16) NOT NULL,
  `actor` varchar(64) NOT NULL,
  `recorded_at` bigint(20) NOT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `reference` (`reference`),
  KEY `payments_order_id` (`order_id`),
  CONSTRAINT `payments_order` FOREIGN KEY (`order_id`) REFERENCES `orders` (`id`),
  CONSTRAINT `CONSTRAINT_1` CHECK (`amount` >= 0)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin
CREATE TABLE `refund_dues` (
  `order_id` binary(16) NOT NULL,
  `currency` varchar(3) NOT NULL,
  `amount` bigint(20) NOT NULL,
  PRIMARY KEY (`order_id`,`currency`),
  CONSTRAINT `refund_dues_order` FOREIGN KEY (`order_id`) REFERENCES `orders` (`id`),
  CONSTRAINT `CONSTRAINT_1` CHECK (`amount` > 0)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin
CREATE TABLE `refunds` (
  `id` binary(16) NOT NULL,
  `order_id` binary(16) NOT NULL,
  `reference` varchar(200) NOT NULL,
  `amount` bigint(20) NOT NULL,
  `currency` varchar(3) NOT NULL,
  `restock` tinyint(1) NOT NULL,
  `actor` varchar(64) NOT NULL,
  `recorded_at` bigint(20) NOT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `reference` (`reference`),
  KEY `refunds_order_id` (`order_id`),
  CONSTRAINT `refunds_order` FOREIGN KEY (`order_id`) REFERENCES `orders` (`id`),
  CONSTRAINT `CONSTRAINT_1` CHECK (`amount` >= 0)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin
CREATE TABLE `sagas` (
  `order_id` binary(16) NOT NULL,
  `step` varchar(16) DEFAULT NULL,
  `since` bigint(20) DEFAULT NULL,
  `due_at` bigint(20) DEFAULT NULL,
  `attempts` int(11) NOT NULL,
  `lease_owner` binary(16) DEFAULT NULL,
  `lease_epoch` bigint(20) NOT NULL,
  `cancel_by` binary(16) DEFAULT NULL,
  `cancel_reason` varchar(32) DEFAULT NULL,
  `cancel_note` text DEFAULT NULL,
  PRIMARY KEY (`order_id`),
  KEY `sagas_due` (`due_at`),
  CONSTRAINT `sagas_order` FOREIGN KEY (`order_id`) REFERENCES `orders` (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin
CREATE TABLE `schema_info` (
  `id` int(11) NOT NULL,
  `schema_version` int(11) NOT NULL,
  `compatible_from` int(11) NOT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=latin1 COLLATE=latin1_swedish_ci
CREATE TABLE `seaql_migrations` (
  `version` varchar(255) NOT NULL,
  `applied_at` bigint(20) NOT NULL,
  PRIMARY KEY (`version`)
) ENGINE=InnoDB DEFAULT CHARSET=latin1 COLLATE=latin1_swedish_ci
