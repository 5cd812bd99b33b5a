categories: id uuid NOT NULL
categories: slug character varying(100) NOT NULL
categories: name character varying(100) NOT NULL
categories: sort_name character varying(200) COLLATE "C" NOT NULL
categories: parent_id uuid
categories: version bigint NOT NULL
categories: CONSTRAINT categories_parent FOREIGN KEY (parent_id) REFERENCES categories(id)
categories: CONSTRAINT categories_pkey PRIMARY KEY (id)
categories: CONSTRAINT categories_slug_key UNIQUE (slug)
categories: CREATE INDEX categories_parent_id ON categories USING btree (parent_id)
categories: CREATE INDEX categories_sort_name ON categories USING btree (sort_name, id)
categories: CREATE UNIQUE INDEX categories_pkey ON categories USING btree (id)
categories: CREATE UNIQUE INDEX categories_slug_key ON categories USING btree (slug)
category_tree: id integer NOT NULL
category_tree: CONSTRAINT category_tree_pkey PRIMARY KEY (id)
category_tree: CREATE UNIQUE INDEX category_tree_pkey ON category_tree USING btree (id)
products: id uuid NOT NULL
products: sku character varying(64) NOT NULL
products: slug character varying(100) NOT NULL
products: name character varying(200) NOT NULL
products: sort_name character varying(400) COLLATE "C" NOT NULL
products: description text NOT NULL
products: search_text text NOT NULL
products: category_id uuid
products: price_amount bigint NOT NULL
products: price_currency character varying(3) NOT NULL
products: attributes json NOT NULL
products: image_url character varying(2048)
products: status character varying(10) NOT NULL
products: version bigint NOT NULL
products: created_at bigint NOT NULL
products: updated_at bigint NOT NULL
products: search_vector tsvector GENERATED ALWAYS AS (array_to_tsvector(string_to_array(btrim(search_text), ' '::text)))
products: CONSTRAINT products_category FOREIGN KEY (category_id) REFERENCES categories(id)
products: CONSTRAINT products_pkey PRIMARY KEY (id)
products: CONSTRAINT products_price_amount_check CHECK ((price_amount >= 0))
products: CONSTRAINT products_sku_key UNIQUE (sku)
products: CREATE INDEX products_category_id ON products USING btree (category_id, status)
products: CREATE INDEX products_search ON products USING gin (search_vector) WITH (fastupdate=off)
products: CREATE INDEX products_slug ON products USING btree (slug)
products: CREATE INDEX products_status_created_at ON products USING btree (status, created_at, id)
products: CREATE INDEX products_status_price_amount ON products USING btree (status, price_amount, id)
products: CREATE INDEX products_status_sort_name ON products USING btree (status, sort_name, id)
products: CREATE UNIQUE INDEX products_pkey ON products USING btree (id)
products: CREATE UNIQUE INDEX products_sku_key ON products USING btree (sku)
reservation_lines: order_id uuid NOT NULL
reservation_lines: product_id uuid NOT NULL
reservation_lines: quantity bigint NOT NULL
reservation_lines: sku character varying(64)
reservation_lines: name character varying(200)
reservation_lines: unit_amount bigint
reservation_lines: unit_currency character varying(3)
reservation_lines: refusal character varying(20)
reservation_lines: available_then bigint
reservation_lines: CONSTRAINT reservation_lines_pkey PRIMARY KEY (order_id, product_id)
reservation_lines: CONSTRAINT reservation_lines_quantity_check CHECK ((quantity > 0))
reservation_lines: CONSTRAINT reservation_lines_reservation FOREIGN KEY (order_id) REFERENCES reservations(order_id)
reservation_lines: CREATE UNIQUE INDEX reservation_lines_pkey ON reservation_lines USING btree (order_id, product_id)
reservations: order_id uuid NOT NULL
reservations: state character varying(10) NOT NULL
reservations: hold_until bigint
reservations: created_at bigint NOT NULL
reservations: changed_at bigint NOT NULL
reservations: CONSTRAINT reservations_pkey PRIMARY KEY (order_id)
reservations: CREATE INDEX reservations_lapse ON reservations USING btree (state, hold_until)
reservations: CREATE UNIQUE INDEX reservations_pkey ON reservations USING btree (order_id)
schema_info: id integer NOT NULL
schema_info: schema_version integer NOT NULL
schema_info: compatible_from integer NOT NULL
schema_info: CONSTRAINT schema_info_pkey PRIMARY KEY (id)
schema_info: CREATE UNIQUE INDEX schema_info_pkey ON schema_info USING btree (id)
seaql_migrations: version character varying NOT NULL
seaql_migrations: applied_at bigint NOT NULL
seaql_migrations: CONSTRAINT seaql_migrations_pkey PRIMARY KEY (version)
seaql_migrations: CREATE UNIQUE INDEX seaql_migrations_pkey ON seaql_migrations USING btree (version)
slugs: slug character varying(100) NOT NULL
slugs: product_id uuid NOT NULL
slugs: CONSTRAINT slugs_pkey PRIMARY KEY (slug)
slugs: CONSTRAINT slugs_product FOREIGN KEY (product_id) REFERENCES products(id)
slugs: CREATE UNIQUE INDEX slugs_pkey ON slugs USING btree (slug)
stock: product_id uuid NOT NULL
stock: on_hand bigint NOT NULL
stock: available bigint NOT NULL
stock: reserved bigint NOT NULL
stock: CONSTRAINT stock_available_check CHECK ((available >= 0))
stock: CONSTRAINT stock_check CHECK ((on_hand = (available + reserved)))
stock: CONSTRAINT stock_pkey PRIMARY KEY (product_id)
stock: CONSTRAINT stock_product FOREIGN KEY (product_id) REFERENCES products(id)
stock: CONSTRAINT stock_reserved_check CHECK ((reserved >= 0))
stock: CREATE INDEX stock_available ON stock USING btree (available, product_id)
stock: CREATE UNIQUE INDEX stock_pkey ON stock USING btree (product_id)
stock_ledger: id uuid NOT NULL
stock_ledger: product_id uuid NOT NULL
stock_ledger: kind character varying(10) NOT NULL
stock_ledger: delta bigint NOT NULL
stock_ledger: order_id uuid
stock_ledger: actor character varying(64) NOT NULL
stock_ledger: reason character varying(500)
stock_ledger: idempotency_key character varying(255)
stock_ledger: available_after bigint
stock_ledger: reserved_after bigint
stock_ledger: at bigint NOT NULL
stock_ledger: CONSTRAINT stock_ledger_delta_check CHECK ((delta <> 0))
stock_ledger: CONSTRAINT stock_ledger_pkey PRIMARY KEY (id)
stock_ledger: CONSTRAINT stock_ledger_stock FOREIGN KEY (product_id) REFERENCES stock(product_id)
stock_ledger: CREATE UNIQUE INDEX stock_ledger_order ON stock_ledger USING btree (order_id, product_id, kind)
stock_ledger: CREATE UNIQUE INDEX stock_ledger_pkey ON stock_ledger USING btree (id)
stock_ledger: CREATE UNIQUE INDEX stock_ledger_product_key ON stock_ledger USING btree (product_id, idempotency_key)
