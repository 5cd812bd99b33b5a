CREATE TABLE `categories` (
  `id` binary(16) NOT NULL,
  `slug` varchar(100) NOT NULL,
  `name` varchar(100) NOT NULL,
  `sort_name` varchar(200) NOT NULL,
  `parent_id` binary(16) DEFAULT NULL,
  `version` bigint(20) NOT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `slug` (`slug`),
  KEY `categories_parent_id` (`parent_id`),
  KEY `categories_sort_name` (`sort_name`,`id`),
  CONSTRAINT `categories_parent` FOREIGN KEY (`parent_id`) REFERENCES `categories` (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin
CREATE TABLE `category_tree` (
  `id` int(11) NOT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin
CREATE TABLE `products` (
  `id` binary(16) NOT NULL,
  `sku` varchar(64) NOT NULL,
  `slug` varchar(100) NOT NULL,
  `name` varchar(200) NOT NULL,
  `sort_name` varchar(400) NOT NULL,
  `description` text NOT NULL,
  `search_text` mediumtext NOT NULL,
  `category_id` binary(16) DEFAULT NULL,
  `price_amount` bigint(20) NOT NULL,
  `price_currency` varchar(3) NOT NULL,
  `attributes` longtext NOT NULL CHECK (json_valid(`attributes`)),
  `image_url` varchar(2048) DEFAULT NULL,
  `status` varchar(10) NOT NULL,
  `version` bigint(20) NOT NULL,
  `created_at` bigint(20) NOT NULL,
  `updated_at` bigint(20) NOT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `sku` (`sku`),
  KEY `products_slug` (`slug`),
  KEY `products_status_created_at` (`status`,`created_at`,`id`),
  KEY `products_status_price_amount` (`status`,`price_amount`,`id`),
  KEY `products_status_sort_name` (`status`,`sort_name`,`id`),
  KEY `products_category_id` (`category_id`,`status`),
  FULLTEXT KEY `products_search` (`search_text`),
  CONSTRAINT `products_category` FOREIGN KEY (`category_id`) REFERENCES `categories` (`id`),
  CONSTRAINT `CONSTRAINT_1` CHECK (`price_amount` >= 0)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin
CREATE TABLE `reservation_lines` (
  `order_id` binary(16) NOT NULL,
  `product_id` binary(16) NOT NULL,
  `quantity` bigint(20) NOT NULL,
  `sku` varchar(64) DEFAULT NULL,
  `name` varchar(200) DEFAULT NULL,
  `unit_amount` bigint(20) DEFAULT NULL,
  `unit_currency` varchar(3) DEFAULT NULL,
  `refusal` varchar(20) DEFAULT NULL,
  `available_then` bigint(20) DEFAULT NULL,
  PRIMARY KEY (`order_id`,`product_id`),
  CONSTRAINT `reservation_lines_reservation` FOREIGN KEY (`order_id`) REFERENCES `reservations` (`order_id`),
  CONSTRAINT `CONSTRAINT_1` CHECK (`quantity` > 0)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin
CREATE TABLE `reservations` (
  `order_id` binary(16) NOT NULL,
  `state` varchar(10) NOT NULL,
  `hold_until` bigint(20) DEFAULT NULL,
  `created_at` bigint(20) NOT NULL,
  `changed_at` bigint(20) NOT NULL,
  PRIMARY KEY (`order_id`),
  KEY `reservations_lapse` (`state`,`hold_until`)
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
CREATE TABLE `slugs` (
  `slug` varchar(100) NOT NULL,
  `product_id` binary(16) NOT NULL,
  PRIMARY KEY (`slug`),
  KEY `slugs_product` (`product_id`),
  CONSTRAINT `slugs_product` FOREIGN KEY (`product_id`) REFERENCES `products` (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin
CREATE TABLE `stock` (
  `product_id` binary(16) NOT NULL,
  `on_hand` bigint(20) NOT NULL,
  `available` bigint(20) NOT NULL,
  `reserved` bigint(20) NOT NULL,
  PRIMARY KEY (`product_id`),
  KEY `stock_available` (`available`,`product_id`),
  CONSTRAINT `stock_product` FOREIGN KEY (`product_id`) REFERENCES `products` (`id`),
  CONSTRAINT `CONSTRAINT_1` CHECK (`available` >= 0),
  CONSTRAINT `CONSTRAINT_2` CHECK (`reserved` >= 0),
  CONSTRAINT `CONSTRAINT_3` CHECK (`on_hand` = `available` + `reserved`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin
CREATE TABLE `stock_ledger` (
  `id` binary(16) NOT NULL,
  `product_id` binary(16) NOT NULL,
  `kind` varchar(10) NOT NULL,
  `delta` bigint(20) NOT NULL,
  `order_id` binary(16) DEFAULT NULL,
  `actor` varchar(64) NOT NULL,
  `reason` varchar(500) DEFAULT NULL,
  `idempotency_key` varchar(255) DEFAULT NULL,
  `available_after` bigint(20) DEFAULT NULL,
  `reserved_after` bigint(20) DEFAULT NULL,
  `at` bigint(20) NOT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `stock_ledger_product_key` (`product_id`,`idempotency_key`),
  UNIQUE KEY `stock_ledger_order` (`order_id`,`product_id`,`kind`),
  CONSTRAINT `stock_ledger_stock` FOREIGN KEY (`product_id`) REFERENCES `stock` (`product_id`),
  CONSTRAINT `CONSTRAINT_1` CHECK (`delta` <> 0)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin
