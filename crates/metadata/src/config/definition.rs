//! What is known of a configuration key.

use std::borrow::Cow;

/// Type of a value. All values are text; the type says which texts are legal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConfigType {
    /// `true` or `false`.
    Boolean,
    /// Any text.
    String,
    /// 32-bit integer.
    Int,
    /// 16-bit integer.
    Short,
    /// 64-bit integer.
    Long,
    /// Floating-point number.
    Double,
    /// Texts separated by commas.
    List,
    /// Name of a Java class.
    Class,
    /// Secret text, never shown.
    Password,
}

impl ConfigType {
    /// The number that DescribeConfigs carries.
    pub const fn code(self) -> i8 {
        match self {
            Self::Boolean => 1,
            Self::String => 2,
            Self::Int => 3,
            Self::Short => 4,
            Self::Long => 5,
            Self::Double => 6,
            Self::List => 7,
            Self::Class => 8,
            Self::Password => 9,
        }
    }
}

/// Which texts of the type are legal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ValidValues {
    /// All.
    Any,
    /// Numbers from this one on.
    AtLeast(i64),
    /// Numbers from the first to the second, both included.
    Between(i64, i64),
    /// Fractions from zero to this one.
    FractionUpTo(f64),
    /// -1, or numbers from the first to the second.
    MinusOneOrBetween(i64, i64),
    /// One of these; of a list: each element.
    OneOf(&'static [&'static str]),
    /// One of these, in any case of letters.
    OneOfIgnoreCase(&'static [&'static str]),
    /// `*`, or `partition:broker` pairs.
    ThrottledReplicas,
}

/// Definition of one key.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConfigDef {
    /// Key.
    pub name: &'static str,
    /// Type of the value.
    pub config_type: ConfigType,
    /// Value when nothing is set; `None` is null.
    pub default: Option<&'static str>,
    /// Legal values.
    pub valid: ValidValues,
    /// What the key does here.
    pub doc: &'static str,
    /// Never listed.
    pub internal: bool,
    /// Whether the value has an effect in this broker. A key without effect is accepted, kept and shown.
    pub honoured: bool,
    /// Of a broker key: can be changed at run time, for one broker or for all (KIP-226). True for all topic keys.
    pub dynamic: bool,
    /// Of a topic key: broker keys that give its default, the first that is set wins. Of a broker key: keys that mean the
    /// same in other units, itself included; empty when there is only itself.
    pub synonyms: &'static [Synonym],
}

impl ConfigDef {
    /// Whether the value is secret.
    pub const fn is_sensitive(&self) -> bool {
        matches!(self.config_type, ConfigType::Password)
    }

    /// What the key does, for people.
    pub fn documentation(&self) -> Cow<'static, str> {
        match (self.honoured, self.doc) {
            (true, doc) => Cow::Borrowed(doc),
            (false, "") => Cow::Borrowed("Accepted for compatibility; has no effect in this version."),
            (false, doc) => Cow::Owned(format!("{doc} Accepted for compatibility; has no effect in this version.")),
        }
    }
}

/// A broker key that gives another key its value, in its own unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Synonym {
    /// Broker key.
    pub name: &'static str,
    /// How many units of the other key one unit of this one is; 1 also for values that are not numbers.
    pub factor: i64,
}

/// The key of that name in a table that is sorted by name.
pub(super) fn find(table: &'static [ConfigDef], name: &str) -> Option<&'static ConfigDef> {
    table.binary_search_by(|key| key.name.cmp(name)).ok().map(|index| &table[index])
}

/// Builds a table of [`ConfigDef`] from one line per key:
/// `honoured|ignored dynamic|fixed public|internal "key": Type = default, valid values, [synonyms * factor], "doc";`
macro_rules! config_table {
    ($(#[$meta:meta])* $table:ident: $($honoured:ident $mode:ident $listed:ident $name:literal: $type:ident = $default:tt, $valid:ident $(($($arg:expr),*))?,
        [$($synonym:literal * $factor:literal),*], $doc:literal;)*) => {
        $(#[$meta])*
        pub const $table: &[crate::config::ConfigDef] = &[$(crate::config::ConfigDef {
            name: $name,
            config_type: crate::config::ConfigType::$type,
            default: crate::config::definition::config_table!(@default $default),
            valid: crate::config::ValidValues::$valid $(($($arg),*))?,
            doc: $doc,
            internal: crate::config::definition::config_table!(@flag $listed),
            honoured: crate::config::definition::config_table!(@flag $honoured),
            dynamic: crate::config::definition::config_table!(@flag $mode),
            synonyms: &[$(crate::config::Synonym { name: $synonym, factor: $factor }),*],
        },)*];
    };
    (@default null) => { None };
    (@default $text:literal) => { Some($text) };
    (@flag honoured) => { true };
    (@flag ignored) => { false };
    (@flag dynamic) => { true };
    (@flag fixed) => { false };
    (@flag internal) => { true };
    (@flag public) => { false };
}

pub(crate) use config_table;
