//! Categories: the tree that the catalogue is ordered by.

use std::collections::HashMap;

use shop_types::{Text, Uuid};

use super::{Check, Invalid, Slug, product::Patch};

/// As much as fits a menu.
const MAX_NAME: usize = 100;
/// Levels of the tree: Google's taxonomy of everything that is sold has seven.
pub(crate) const MAX_DEPTH: usize = 8;
/// Categories of a shop. The tree is read whole to find what is below a category, and a listing names all of that in one
/// statement.
pub(crate) const MAX_CATEGORIES: usize = 1_000;

type Name = Text<MAX_NAME>;

/// A category as it is stored. Only [`NewCategory`] and [`CategoryChange`] make or change one, so its texts are checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Category {
    pub(crate) id: Uuid,
    pub(crate) slug: String,
    pub(crate) name: String,
    /// None for one at the top.
    pub(crate) parent_id: Option<Uuid>,
    /// Grows by one with each change.
    pub(crate) version: i64,
}

impl Category {
    /// What the listing compares: without regard to case, and the same on every database engine.
    pub(crate) fn sort_name(&self) -> String {
        self.name.to_lowercase()
    }
}

/// A category that is about to be made.
#[derive(Debug, Clone)]
pub(crate) struct NewCategory {
    slug: Slug,
    name: Name,
    parent_id: Option<Uuid>,
}

impl NewCategory {
    /// Checks every field and reports all that are wrong. An empty parent is none.
    pub(crate) fn parse(slug: &str, name: &str, parent_id: &str) -> Result<Self, Invalid> {
        let mut check = Check::default();
        let slug = check.take("/slug", Slug::parse(slug));
        let name = check.take("/name", Name::parse(name));
        let parent_id = parse_parent(&mut check, parent_id);
        let category = match (slug, name) {
            (Some(slug), Some(name)) => Some(Self { slug, name, parent_id }),
            _ => None,
        };
        check.finish_with(category)
    }

    /// The category, once it has an id.
    pub(crate) fn into_category(self, id: Uuid) -> Category {
        let Self { slug, name, parent_id } = self;
        Category { id, slug: slug.into_string(), name: name.into_string(), parent_id, version: 1 }
    }
}

fn parse_parent(check: &mut Check, raw: &str) -> Option<Uuid> {
    if raw.is_empty() {
        return None;
    }
    // What can't be an id is no category's.
    check.take("/parent_id", Uuid::try_parse(raw).map_err(|_| Misplaced::UnknownParent))
}

/// A change that was checked as far as it goes without the category and the tree. Absent keeps.
#[derive(Debug, Clone)]
pub(crate) struct CategoryChange {
    slug: Option<Slug>,
    name: Option<Name>,
    /// Cleared, it moves to the top.
    parent_id: Patch<Uuid>,
}

impl CategoryChange {
    /// Checks every field and reports all that are wrong. An empty parent is none.
    pub(crate) fn parse(slug: Option<&str>, name: Option<&str>, parent_id: Option<&str>) -> Result<Self, Invalid> {
        let mut check = Check::default();
        let change = Self {
            slug: slug.and_then(|slug| check.take("/slug", Slug::parse(slug))),
            name: name.and_then(|name| check.take("/name", Name::parse(name))),
            parent_id: Patch::parse(parent_id, |parent| parse_parent(&mut check, parent)),
        };
        check.finish().map(|()| change)
    }

    /// Whether it may change the shape of the tree.
    pub(crate) fn moves(&self) -> bool {
        !matches!(self.parent_id, Patch::Keep)
    }

    /// The category after the change: the next version, or `category` itself when nothing differs.
    pub(crate) fn apply(self, category: &Category) -> Category {
        let mut next = category.clone();
        if let Some(slug) = self.slug {
            next.slug = slug.into_string();
        }
        if let Some(name) = self.name {
            next.name = name.into_string();
        }
        match self.parent_id {
            Patch::Keep => {}
            Patch::Clear => next.parent_id = None,
            Patch::Set(parent_id) => next.parent_id = Some(parent_id),
        }
        if next != *category {
            next.version += 1;
        }
        next
    }
}

/// Why a category can't be where it is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Misplaced {
    #[error("is no category")]
    UnknownParent,
    #[error("must be neither the category itself nor one below it")]
    BelowItself,
    #[error("is too deep: the tree has at most {MAX_DEPTH} levels")]
    TooDeep,
}

/// The shape of the tree: every category with the one above it.
#[derive(Debug, Clone)]
pub(crate) struct Tree(HashMap<Uuid, Option<Uuid>>);

impl Tree {
    /// From pairs of a category and the one above it.
    pub(crate) fn new(links: impl IntoIterator<Item = (Uuid, Option<Uuid>)>) -> Self {
        Self(links.into_iter().collect())
    }

    /// Whether there is no room for another category.
    pub(crate) fn is_full(&self) -> bool {
        self.0.len() >= MAX_CATEGORIES
    }

    /// Whether a category, new or present, may be below `parent`, with all that is below itself.
    pub(crate) fn place(&self, category: Uuid, parent: Option<Uuid>) -> Result<(), Misplaced> {
        let mut above = 0;
        let mut next = parent;
        while let Some(id) = next {
            if id == category {
                return Err(Misplaced::BelowItself);
            }
            next = *self.0.get(&id).ok_or(Misplaced::UnknownParent)?;
            above += 1;
            // The tree is never deeper; a count that can't run away needs no trust in that.
            if above >= MAX_DEPTH {
                return Err(Misplaced::TooDeep);
            }
        }
        if above + self.levels(category).len() > MAX_DEPTH { Err(Misplaced::TooDeep) } else { Ok(()) }
    }

    /// The category and all below it.
    pub(crate) fn with_descendants(&self, category: Uuid) -> Vec<Uuid> {
        self.levels(category).concat()
    }

    /// The category, those right below it, those below them, and so on.
    fn levels(&self, category: Uuid) -> Vec<Vec<Uuid>> {
        let mut children: HashMap<Uuid, Vec<Uuid>> = HashMap::new();
        for (&id, &parent) in &self.0 {
            if let Some(parent) = parent {
                children.entry(parent).or_default().push(id);
            }
        }
        let mut levels = Vec::new();
        let mut level = vec![category];
        while !level.is_empty() && levels.len() <= MAX_DEPTH {
            let below = level.iter().flat_map(|id| children.remove(id).unwrap_or_default()).collect();
            levels.push(std::mem::replace(&mut level, below));
        }
        levels
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: usize) -> Uuid {
        Uuid::from_u128(n as u128)
    }

    /// A chain 1 ← 2 ← … ← `depth`, and 10,000 beside it.
    fn chain(depth: usize) -> Tree {
        let links = (1..=depth).map(|n| (id(n), (n > 1).then(|| id(n - 1))));
        Tree::new(links.chain([(id(10_000), None)]))
    }

    #[test]
    fn a_category_is_never_below_itself() {
        let tree = chain(4);
        for below in 1..=4 {
            assert_eq!(tree.place(id(1), Some(id(below))), Err(Misplaced::BelowItself));
        }
        assert_eq!(tree.place(id(4), Some(id(1))), Ok(()));
        assert_eq!(tree.place(id(2), None), Ok(()));
        assert_eq!(tree.place(id(1), Some(id(10_000))), Ok(()));
        assert_eq!(tree.place(id(1), Some(id(9))), Err(Misplaced::UnknownParent));
    }

    #[test]
    fn the_tree_is_never_too_deep() {
        let tree = chain(MAX_DEPTH);
        assert_eq!(tree.place(id(50), Some(id(MAX_DEPTH - 1))), Ok(()));
        assert_eq!(tree.place(id(50), Some(id(MAX_DEPTH))), Err(Misplaced::TooDeep));
        // What is below moves along.
        assert_eq!(tree.place(id(2), Some(id(10_000))), Ok(()));
        assert_eq!(tree.place(id(1), Some(id(10_000))), Err(Misplaced::TooDeep));
    }

    #[test]
    fn descendants_are_all_below() {
        let tree = chain(4);
        assert_eq!(tree.with_descendants(id(3)), [id(3), id(4)]);
        assert_eq!(tree.with_descendants(id(10_000)), [id(10_000)]);
        assert!(!tree.is_full());
        assert!(chain(MAX_CATEGORIES - 1).is_full());
    }

    #[test]
    fn every_wrong_field_is_reported_at_once() {
        let invalid = NewCategory::parse("A b", " ", "x").unwrap_err();
        let pointers: Vec<_> = invalid.into_violations().into_iter().map(|violation| violation.pointer).collect();
        assert_eq!(pointers, ["/slug", "/name", "/parent_id"]);
        assert!(NewCategory::parse("tea", "Tea", "").is_ok());
        assert!(CategoryChange::parse(Some(&id(1).to_string()), None, None).is_err());
    }

    #[test]
    fn a_change_of_nothing_is_no_new_version() {
        let tea = NewCategory::parse("tea", "Tea", "").unwrap().into_category(id(1));
        let same = CategoryChange::parse(Some("tea"), Some(" Tea"), Some("")).unwrap();
        assert_eq!(same.apply(&tea), tea);
        let moved = CategoryChange::parse(None, None, Some(&id(2).to_string())).unwrap();
        assert!(moved.moves());
        let moved = moved.apply(&tea);
        assert_eq!((moved.parent_id, moved.version, moved.name.as_str()), (Some(id(2)), 2, "Tea"));
        let topped = CategoryChange::parse(None, None, Some("")).unwrap().apply(&moved);
        assert_eq!((topped.parent_id, topped.version), (None, 3));
    }
}
