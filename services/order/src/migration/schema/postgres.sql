deliveries: order_id uuid NOT NULL
deliveries: due_at bigint NOT NULL
deliveries: attempts integer NOT NULL
deliveries: lease_epoch bigint NOT NULL
deliveries: CONSTRAINT deliveries_order FOREIGN KEY (order_id) REFERENCES orders(id)
deliveries: CONSTRAINT deliveries_pkey PRIMARY KEY (order_id)
deliveries: CREATE INDEX deliveries_due ON deliveries USING btree (due_at)
deliveries: CREATE UNIQUE INDEX deliveries_pkey ON deliveries USING btree (order_id)
idempotency_keys: user_id uuid NOT NULL
idempotency_keys: idempotency_key character varying(255) NOT NULL
idempotency_keys: body_hash bytea NOT NULL
idempotency_keys: order_id uuid NOT NULL
idempotency_keys: created_at bigint NOT NULL
idempotency_keys: CONSTRAINT idempotency_keys_order FOREIGN KEY (order_id) REFERENCES orders(id)
idempotency_keys: CONSTRAINT idempotency_keys_pkey PRIMARY KEY (user_id, idempotency_key)
idempotency_keys: CREATE INDEX idempotency_keys_age ON idempotency_keys USING btree (created_at)
idempotency_keys: CREATE INDEX idempotency_keys_order ON idempotency_keys USING btree (order_id)
idempotency_keys: CREATE UNIQUE INDEX idempotency_keys_pkey ON idempotency_keys USING btree (user_id, idempotency_key)
order_history: order_id uuid NOT NULL
order_history: version bigint NOT NULL
order_history: from_status character varying(16)
order_history: to_status character varying(16) NOT NULL
order_history: actor character varying(64) NOT NULL
order_history: reason character varying(32)
order_history: note text
order_history: at bigint NOT NULL
order_history: CONSTRAINT order_history_order FOREIGN KEY (order_id) REFERENCES orders(id)
order_history: CONSTRAINT order_history_pkey PRIMARY KEY (order_id, version)
order_history: CREATE UNIQUE INDEX order_history_pkey ON order_history USING btree (order_id, version)
order_items: order_id uuid NOT NULL
order_items: position integer NOT NULL
order_items: product_id uuid NOT NULL
order_items: quantity bigint NOT NULL
order_items: sku character varying(64)
order_items: name character varying(200)
order_items: unit_amount bigint
order_items: line_amount bigint
order_items: currency character varying(3)
order_items: refusal character varying(16)
order_items: available_then bigint
order_items: CONSTRAINT order_items_order FOREIGN KEY (order_id) REFERENCES orders(id)
order_items: CONSTRAINT order_items_pkey PRIMARY KEY (order_id, "position")
order_items: CONSTRAINT order_items_quantity_check CHECK ((quantity > 0))
order_items: CREATE UNIQUE INDEX order_items_pkey ON order_items USING btree (order_id, "position")
orders: id uuid NOT NULL
orders: user_id uuid NOT NULL
orders: status character varying(16) NOT NULL
orders: total_amount bigint
orders: total_currency character varying(3)
orders: address json NOT NULL
orders: reason character varying(32)
orders: expires_at bigint
orders: version bigint NOT NULL
orders: created_at bigint NOT NULL
orders: updated_at bigint NOT NULL
orders: CONSTRAINT orders_pkey PRIMARY KEY (id)
orders: CREATE INDEX orders_status_expires_at ON orders USING btree (status, expires_at)
orders: CREATE INDEX orders_status_id ON orders USING btree (status, id)
orders: CREATE INDEX orders_user_id_id ON orders USING btree (user_id, id)
orders: CREATE UNIQUE INDEX orders_pkey ON orders USING btree (id)
outbox: order_id uuid NOT NULL
outbox: version bigint NOT NULL
outbox: event_type character varying(32) NOT NULL
outbox: data json NOT NULL
outbox: at bigint NOT NULL
outbox: sent_at bigint
outbox: CONSTRAINT outbox_order FOREIGN KEY (order_id) REFERENCES orders(id)
outbox: CONSTRAINT outbox_pkey PRIMARY KEY (order_id, version)
outbox: CREATE INDEX outbox_sent_at_at ON outbox USING btree (sent_at, at)
outbox: CREATE UNIQUE INDEX outbox_pkey ON outbox USING btree (order_id, version)
payment_notices: id character varying(200) NOT NULL
payment_notices: order_id uuid NOT NULL
payment_notices: body bytea NOT NULL
payment_notices: outcome character varying(20) NOT NULL
payment_notices: received_at bigint NOT NULL
payment_notices: CONSTRAINT payment_notices_pkey PRIMARY KEY (id)
payment_notices: CREATE UNIQUE INDEX payment_notices_pkey ON payment_notices USING btree (id)
payments: id uuid NOT NULL
payments: order_id uuid NOT NULL
payments: reference character varying(200) NOT NULL
payments: amount bigint NOT NULL
payments: currency character varying(3) NOT NULL
payments: outcome character varying(16) NOT NULL
payments: actor character varying(64) NOT NULL
payments: recorded_at bigint NOT NULL
payments: CONSTRAINT payments_amount_check CHECK ((amount >= 0))
payments: CONSTRAINT payments_order FOREIGN KEY (order_id) REFERENCES orders(id)
payments: CONSTRAINT payments_pkey PRIMARY KEY (id)
payments: CONSTRAINT payments_reference_key UNIQUE (reference)
payments: CREATE INDEX payments_order_id ON payments USING btree (order_id)
payments: CREATE UNIQUE INDEX payments_pkey ON payments USING btree (id)
payments: CREATE UNIQUE INDEX payments_reference_key ON payments USING btree (reference)
refund_dues: order_id uuid NOT NULL
refund_dues: currency character varying(3) NOT NULL
refund_dues: amount bigint NOT NULL
refund_dues: CONSTRAINT refund_dues_amount_check CHECK ((amount > 0))
refund_dues: CONSTRAINT refund_dues_order FOREIGN KEY (order_id) REFERENCES orders(id)
refund_dues: CONSTRAINT refund_dues_pkey PRIMARY KEY (order_id, currency)
refund_dues: CREATE UNIQUE INDEX refund_dues_pkey ON refund_dues USING btree (order_id, currency)
refunds: id uuid NOT NULL
refunds: order_id uuid NOT NULL
refunds: reference character varying(200) NOT NULL
refunds: amount bigint NOT NULL
refunds: currency character varying(3) NOT NULL
refunds: restock boolean NOT NULL
refunds: actor character varying(64) NOT NULL
refunds: recorded_at bigint NOT NULL
refunds: CONSTRAINT refunds_amount_check CHECK ((amount >= 0))
refunds: CONSTRAINT refunds_order FOREIGN KEY (order_id) REFERENCES orders(id)
refunds: CONSTRAINT refunds_pkey PRIMARY KEY (id)
refunds: CONSTRAINT refunds_reference_key UNIQUE (reference)
refunds: CREATE INDEX refunds_order_id ON refunds USING btree (order_id)
refunds: CREATE UNIQUE INDEX refunds_pkey ON refunds USING btree (id)
refunds: CREATE UNIQUE INDEX refunds_reference_key ON refunds USING btree (reference)
sagas: order_id uuid NOT NULL
sagas: step character varying(16)
sagas: since bigint
sagas: due_at bigint
sagas: attempts integer NOT NULL
sagas: lease_owner uuid
sagas: lease_epoch bigint NOT NULL
sagas: cancel_by uuid
sagas: cancel_reason character varying(32)
sagas: cancel_note text
sagas: CONSTRAINT sagas_order FOREIGN KEY (order_id) REFERENCES orders(id)
sagas: CONSTRAINT sagas_pkey PRIMARY KEY (order_id)
sagas: CREATE INDEX sagas_due ON sagas USING btree (due_at)
sagas: CREATE UNIQUE INDEX sagas_pkey ON sagas USING btree (order_id)
schema_info: id integer NOT NULL
schema_info: schema_version integer NOT NULL
schema_info: compatible_from integer NOT NULL
schema_info: CONSTRAINT schema_info_pkey PRIMARY KEY (id)
schema_info: CREATE UNIQUE INDEX schema_info_pkey ON schema_info USING btree (id)
seaql_migrations: version character varying NOT NULL
seaql_migrations: applied_at bigint NOT NULL
seaql_migrations: CONSTRAINT seaql_migrations_pkey PRIMARY KEY (version)
seaql_migrations: CREATE UNIQUE INDEX seaql_migrations_pkey ON seaql_migrations USING btree (version)
