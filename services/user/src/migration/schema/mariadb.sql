CREATE TABLE `addresses` (
  `id` binary(16) NOT NULL,
  `user_id` binary(16) NOT NULL,
  `label` varchar(100) DEFAULT NULL,
  `recipient` varchar(200) NOT NULL,
  `line1` varchar(200) NOT NULL,
  `line2` varchar(200) DEFAULT NULL,
  `city` varchar(100) NOT NULL,
  `region` varchar(100) DEFAULT NULL,
  `postal_code` varchar(20) NOT NULL,
  `country` varchar(2) NOT NULL,
  PRIMARY KEY (`id`),
  KEY `addresses_user_id` (`user_id`,`id`),
  CONSTRAINT `addresses_user` FOREIGN KEY (`user_id`) REFERENCES `users` (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin
CREATE TABLE `login_addresses` (
  `user_id` binary(16) NOT NULL,
  `address` varchar(64) NOT NULL,
  `last_used_at` bigint(20) NOT NULL,
  `looked_at` bigint(20) NOT NULL,
  PRIMARY KEY (`user_id`,`address`),
  KEY `login_addresses_last_used_at` (`last_used_at`),
  CONSTRAINT `login_addresses_user` FOREIGN KEY (`user_id`) REFERENCES `users` (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin
CREATE TABLE `login_failures` (
  `id` binary(16) NOT NULL,
  `account_key` binary(32) NOT NULL,
  `address` varchar(64) NOT NULL,
  `known_address` tinyint(1) NOT NULL,
  `at` bigint(20) NOT NULL,
  PRIMARY KEY (`id`),
  KEY `login_failures_account` (`account_key`,`at`),
  KEY `login_failures_address` (`address`,`at`),
  KEY `login_failures_at` (`at`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin
CREATE TABLE `login_locks` (
  `id` int(11) NOT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin
CREATE TABLE `revocation_counter` (
  `id` int(11) NOT NULL,
  `last_position` bigint(20) NOT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin
CREATE TABLE `revocations` (
  `position` bigint(20) NOT NULL,
  `session_id` binary(16) DEFAULT NULL,
  `user_id` binary(16) DEFAULT NULL,
  `epoch` bigint(20) DEFAULT NULL,
  `forget_after` bigint(20) NOT NULL,
  PRIMARY KEY (`position`),
  KEY `revocations_forget_after` (`forget_after`)
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
CREATE TABLE `sessions` (
  `id` binary(16) NOT NULL,
  `user_id` binary(16) NOT NULL,
  `secret` binary(32) NOT NULL,
  `present_hash` binary(32) NOT NULL,
  `predecessor_hash` binary(32) DEFAULT NULL,
  `rotated_at` bigint(20) NOT NULL,
  `expires_at` bigint(20) NOT NULL,
  PRIMARY KEY (`id`),
  KEY `sessions_user_id` (`user_id`,`id`),
  KEY `sessions_expires_at` (`expires_at`),
  CONSTRAINT `sessions_user` FOREIGN KEY (`user_id`) REFERENCES `users` (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin
CREATE TABLE `users` (
  `id` binary(16) NOT NULL,
  `email` varchar(254) NOT NULL,
  `email_key` varchar(254) DEFAULT NULL,
  `display_name` varchar(100) NOT NULL,
  `password_hash` varchar(200) DEFAULT NULL,
  `role` varchar(10) NOT NULL,
  `disabled` tinyint(1) NOT NULL,
  `epoch` bigint(20) NOT NULL,
  `created_at` bigint(20) NOT NULL,
  `updated_at` bigint(20) NOT NULL,
  `deleted_at` bigint(20) DEFAULT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `users_email_key` (`email_key`),
  KEY `users_role` (`role`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin
