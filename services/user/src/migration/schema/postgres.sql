addresses: id uuid NOT NULL
addresses: user_id uuid NOT NULL
addresses: label character varying(100)
addresses: recipient character varying(200) NOT NULL
addresses: line1 character varying(200) NOT NULL
addresses: line2 character varying(200)
addresses: city character varying(100) NOT NULL
addresses: region character varying(100)
addresses: postal_code character varying(20) NOT NULL
addresses: country character varying(2) NOT NULL
addresses: CONSTRAINT addresses_pkey PRIMARY KEY (id)
addresses: CONSTRAINT addresses_user FOREIGN KEY (user_id) REFERENCES users(id)
addresses: CREATE INDEX addresses_user_id ON addresses USING btree (user_id, id)
addresses: CREATE UNIQUE INDEX addresses_pkey ON addresses USING btree (id)
login_addresses: user_id uuid NOT NULL
login_addresses: address character varying(64) NOT NULL
login_addresses: last_used_at bigint NOT NULL
login_addresses: looked_at bigint NOT NULL
login_addresses: CONSTRAINT login_addresses_pkey PRIMARY KEY (user_id, address)
login_addresses: CONSTRAINT login_addresses_user FOREIGN KEY (user_id) REFERENCES users(id)
login_addresses: CREATE INDEX login_addresses_last_used_at ON login_addresses USING btree (last_used_at)
login_addresses: CREATE UNIQUE INDEX login_addresses_pkey ON login_addresses USING btree (user_id, address)
login_failures: id uuid NOT NULL
login_failures: account_key bytea NOT NULL
login_failures: address character varying(64) NOT NULL
login_failures: known_address boolean NOT NULL
login_failures: at bigint NOT NULL
login_failures: CONSTRAINT login_failures_pkey PRIMARY KEY (id)
login_failures: CREATE INDEX login_failures_account ON login_failures USING btree (account_key, at)
login_failures: CREATE INDEX login_failures_address ON login_failures USING btree (address, at)
login_failures: CREATE INDEX login_failures_at ON login_failures USING btree (at)
login_failures: CREATE UNIQUE INDEX login_failures_pkey ON login_failures USING btree (id)
login_locks: id integer NOT NULL
login_locks: CONSTRAINT login_locks_pkey PRIMARY KEY (id)
login_locks: CREATE UNIQUE INDEX login_locks_pkey ON login_locks USING btree (id)
revocation_counter: id integer NOT NULL
revocation_counter: last_position bigint NOT NULL
revocation_counter: CONSTRAINT revocation_counter_pkey PRIMARY KEY (id)
revocation_counter: CREATE UNIQUE INDEX revocation_counter_pkey ON revocation_counter USING btree (id)
revocations: position bigint NOT NULL
revocations: session_id uuid
revocations: user_id uuid
revocations: epoch bigint
revocations: forget_after bigint NOT NULL
revocations: CONSTRAINT revocations_pkey PRIMARY KEY ("position")
revocations: CREATE INDEX revocations_forget_after ON revocations USING btree (forget_after)
revocations: CREATE UNIQUE INDEX revocations_pkey ON revocations USING btree ("position")
schema_info: id integer NOT NULL
schema_info: schema_version integer NOT NULL
schema_info: compatible_from integer NOT NULL
schema_info: CONSTRAINT schema_info_pkey PRIMARY KEY (id)
schema_info: CREATE UNIQUE INDEX schema_info_pkey ON schema_info USING btree (id)
seaql_migrations: version character varying NOT NULL
seaql_migrations: applied_at bigint NOT NULL
seaql_migrations: CONSTRAINT seaql_migrations_pkey PRIMARY KEY (version)
seaql_migrations: CREATE UNIQUE INDEX seaql_migrations_pkey ON seaql_migrations USING btree (version)
sessions: id uuid NOT NULL
sessions: user_id uuid NOT NULL
sessions: secret bytea NOT NULL
sessions: present_hash bytea NOT NULL
sessions: predecessor_hash bytea
sessions: rotated_at bigint NOT NULL
sessions: expires_at bigint NOT NULL
sessions: CONSTRAINT sessions_pkey PRIMARY KEY (id)
sessions: CONSTRAINT sessions_user FOREIGN KEY (user_id) REFERENCES users(id)
sessions: CREATE INDEX sessions_expires_at ON sessions USING btree (expires_at)
sessions: CREATE INDEX sessions_user_id ON sessions USING btree (user_id, id)
sessions: CREATE UNIQUE INDEX sessions_pkey ON sessions USING btree (id)
users: id uuid NOT NULL
users: email character varying(254) NOT NULL
users: email_key character varying(254)
users: display_name character varying(100) NOT NULL
users: password_hash character varying(200)
users: role character varying(10) NOT NULL
users: disabled boolean NOT NULL
users: epoch bigint NOT NULL
users: created_at bigint NOT NULL
users: updated_at bigint NOT NULL
users: deleted_at bigint
users: CONSTRAINT users_pkey PRIMARY KEY (id)
users: CREATE INDEX users_role ON users USING btree (role)
users: CREATE UNIQUE INDEX users_email_key ON users USING btree (email_key)
users: CREATE UNIQUE INDEX users_pkey ON users USING btree (id)
