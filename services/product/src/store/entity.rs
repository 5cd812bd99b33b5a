//! The tables as sea-orm sees them. No entity leaves the store.

use std::collections::BTreeMap;

use sea_orm::FromJsonQueryResult;
use serde::{Deserialize, Serialize};

pub(super) mod product {
    use sea_orm::entity::prelude::*;

    use super::Attributes;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "products")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) id: Uuid,
        pub(crate) sku: String,
        pub(crate) slug: String,
        pub(crate) name: String,
        pub(crate) sort_name: String,
        #[sea_orm(column_type = "Text")]
        pub(crate) description: String,
        /// The terms of its words; the indices for searching are made of it by the engines themselves.
        #[sea_orm(column_type = "Text")]
        pub(crate) search_text: String,
        pub(crate) category_id: Option<Uuid>,
        pub(crate) price_amount: i64,
        pub(crate) price_currency: String,
        #[sea_orm(column_type = "Json")]
        pub(crate) attributes: Attributes,
        pub(crate) image_url: Option<String>,
        pub(crate) status: Status,
        pub(crate) version: i64,
        pub(crate) created_at: i64,
        pub(crate) updated_at: i64,
    }

    #[derive(Copy, Clone, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
    #[sea_orm(rs_type = "String", db_type = "String(StringLen::N(10))")]
    pub(crate) enum Status {
        #[sea_orm(string_value = "active")]
        Active,
        #[sea_orm(string_value = "archived")]
        Archived,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) mod category {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "categories")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) id: Uuid,
        pub(crate) slug: String,
        pub(crate) name: String,
        pub(crate) sort_name: String,
        pub(crate) parent_id: Option<Uuid>,
        pub(crate) version: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// One row, which stands for the shape of the tree of categories: whoever changes that locks it.
pub(super) mod category_tree {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "category_tree")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) id: i32,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Attributes as one JSON object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, FromJsonQueryResult)]
pub(crate) struct Attributes(pub(crate) BTreeMap<String, String>);

pub(super) mod slug {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "slugs")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) slug: String,
        pub(crate) product_id: Uuid,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) mod stock {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "stock")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) product_id: Uuid,
        pub(crate) on_hand: i64,
        pub(crate) available: i64,
        pub(crate) reserved: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {
        #[sea_orm(belongs_to = "super::product::Entity", from = "Column::ProductId", to = "super::product::Column::Id")]
        Product,
    }

    impl Related<super::product::Entity> for Entity {
        fn to() -> RelationDef {
            Relation::Product.def()
        }
    }

    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) mod ledger {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "stock_ledger")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) id: Uuid,
        pub(crate) product_id: Uuid,
        pub(crate) kind: Kind,
        pub(crate) delta: i64,
        pub(crate) order_id: Option<Uuid>,
        pub(crate) actor: String,
        pub(crate) reason: Option<String>,
        pub(crate) idempotency_key: Option<String>,
        pub(crate) available_after: Option<i64>,
        pub(crate) reserved_after: Option<i64>,
        pub(crate) at: i64,
    }

    #[derive(Copy, Clone, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
    #[sea_orm(rs_type = "String", db_type = "String(StringLen::N(10))")]
    pub(crate) enum Kind {
        #[sea_orm(string_value = "adjustment")]
        Adjustment,
        #[sea_orm(string_value = "commit")]
        Commit,
        #[sea_orm(string_value = "return")]
        Return,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) mod reservation {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "reservations")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) order_id: Uuid,
        pub(crate) state: State,
        pub(crate) hold_until: Option<i64>,
        pub(crate) created_at: i64,
        pub(crate) changed_at: i64,
    }

    #[derive(Copy, Clone, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
    #[sea_orm(rs_type = "String", db_type = "String(StringLen::N(10))")]
    pub(crate) enum State {
        #[sea_orm(string_value = "held")]
        Held,
        #[sea_orm(string_value = "committed")]
        Committed,
        #[sea_orm(string_value = "released")]
        Released,
        #[sea_orm(string_value = "refused")]
        Refused,
        #[sea_orm(string_value = "returned")]
        Returned,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {
        #[sea_orm(has_many = "super::reservation_line::Entity")]
        Lines,
    }

    impl Related<super::reservation_line::Entity> for Entity {
        fn to() -> RelationDef {
            Relation::Lines.def()
        }
    }

    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) mod reservation_line {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "reservation_lines")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) order_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) product_id: Uuid,
        pub(crate) quantity: i64,
        pub(crate) sku: Option<String>,
        pub(crate) name: Option<String>,
        pub(crate) unit_amount: Option<i64>,
        pub(crate) unit_currency: Option<String>,
        pub(crate) refusal: Option<Refusal>,
        pub(crate) available_then: Option<i64>,
    }

    #[derive(Copy, Clone, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
    #[sea_orm(rs_type = "String", db_type = "String(StringLen::N(20))")]
    pub(crate) enum Refusal {
        #[sea_orm(string_value = "out_of_stock")]
        OutOfStock,
        #[sea_orm(string_value = "not_orderable")]
        NotOrderable,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {
        #[sea_orm(
            belongs_to = "super::reservation::Entity",
            from = "Column::OrderId",
            to = "super::reservation::Column::OrderId"
        )]
        Reservation,
    }

    impl Related<super::reservation::Entity> for Entity {
        fn to() -> RelationDef {
            Relation::Reservation.def()
        }
    }

    impl ActiveModelBehavior for ActiveModel {}
}
