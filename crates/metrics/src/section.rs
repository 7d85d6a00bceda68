//! Figures that belong together.

use crate::Metric;

/// Which nodes have a section's figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// All.
    Node,
    /// Those with the role `broker`.
    Broker,
    /// Those with the role `controller`.
    Controller,
}

/// A chapter of the table.
#[derive(Debug)]
pub struct Section {
    /// Heading.
    pub title: &'static str,
    /// What the figures have in common.
    pub note: &'static str,
    /// Which nodes have them.
    pub role: Role,
    /// The figures in the order of the document.
    pub metrics: &'static [&'static Metric],
}

/// Declares figures and the section that holds all of them: none can be forgotten.
macro_rules! section {
    ($title:literal, $role:ident, $note:literal; $($name:ident = $metric:expr;)*) => {
        $(
            #[allow(missing_docs)]
            pub static $name: crate::Metric = $metric;
        )*
        /// The figures of this module.
        pub static SECTION: crate::Section = crate::Section {
            title: $title,
            note: $note,
            role: crate::Role::$role,
            metrics: &[$(&$name),*],
        };
    };
}

pub(crate) use section;
