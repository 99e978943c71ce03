//! What a request says of classes: this one, or this one and any better: `h100-sxm-80+`.

use std::fmt;
use std::str::FromStr;

use super::known::{self, Known};
use super::{Class, ClassError};
use crate::id::text_serde;

/// A class that will do, or that and all that are in nothing worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClassChoice {
    class: Class,
    or_better: bool,
}

/// Why a text is not a choice of classes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClassChoiceError {
    /// The class is none.
    #[error(transparent)]
    Class(#[from] ClassError),
    /// Nobody knows what is better.
    #[error(
        "`{0}+`: which classes are better than `{0}` is not known: leave out the `+`, and name each class that will do"
    )]
    Unknown(Class),
}

impl ClassChoice {
    /// The classes that will do, the one that was named first.
    pub fn classes(self) -> Vec<Class> {
        let mut classes = vec![self.class];
        if let Some(named) = known::find(self.class).filter(|_| self.or_better) {
            let better = |other: &Known| other.class() != self.class && other.stands_in_for(named);
            classes.extend(known::ALL.iter().filter(|of| better(of)).map(Known::class));
        }
        classes
    }

    /// The classes that will do where any of these choices will, each once.
    pub fn classes_of(choices: &[Self]) -> Vec<Class> {
        let mut classes = Vec::new();
        for class in choices.iter().flat_map(|choice| choice.classes()) {
            if !classes.contains(&class) {
                classes.push(class);
            }
        }
        classes
    }
}

impl From<Class> for ClassChoice {
    fn from(class: Class) -> Self {
        Self {
            class,
            or_better: false,
        }
    }
}

impl FromStr for ClassChoice {
    type Err = ClassChoiceError;

    fn from_str(text: &str) -> Result<Self, ClassChoiceError> {
        let Some(named) = text.strip_suffix('+') else {
            return Ok(text.parse::<Class>()?.into());
        };
        let class = named.parse()?;
        match known::find(class) {
            Some(_) => Ok(Self {
                class,
                or_better: true,
            }),
            None => Err(ClassChoiceError::Unknown(class)),
        }
    }
}

impl fmt::Display for ClassChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plus = if self.or_better { "+" } else { "" };
        write!(f, "{}{plus}", self.class)
    }
}

text_serde!(ClassChoice);

#[cfg(test)]
mod tests {
    use super::*;

    fn classes(text: &str) -> Vec<String> {
        let choice: ClassChoice = text.parse().unwrap();
        assert_eq!(choice.to_string(), text);
        choice.classes().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn better_ones_will_do_where_a_plus_says_so() {
        assert_eq!(classes("h100-sxm-80"), ["h100-sxm-80"]);
        assert_eq!(
            classes("h100-sxm-80+"),
            ["h100-sxm-80", "b200-sxm-180", "h200-sxm-141"]
        );
        assert_eq!(classes("b200-sxm-180+"), ["b200-sxm-180"]);
        let better = classes("a100-sxm-80+");
        assert!(better.contains(&"h100-sxm-80".to_owned()));
        // A slower link, or less memory, is worse.
        assert!(!better.contains(&"h100-pcie-80".to_owned()));
        assert!(!better.contains(&"h800-sxm-80".to_owned()));
        assert!(!classes("rtx4090-24+").contains(&"l4-24".to_owned()));
        assert!(classes("rtx4090-24+").contains(&"rtx5090-32".to_owned()));
    }

    #[test]
    fn what_is_not_known_stands_for_itself_alone() {
        assert_eq!(classes("cpu"), ["cpu"]);
        assert_eq!(classes("mi300x-192"), ["mi300x-192"]);
        let error = "mi300x-192+".parse::<ClassChoice>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "`mi300x-192+`: which classes are better than `mi300x-192` is not known: \
             leave out the `+`, and name each class that will do"
        );
        for text in ["", "+", "h100-sxm-80++", "H100+"] {
            assert!(text.parse::<ClassChoice>().is_err(), "{text}");
        }
    }

    #[test]
    fn each_class_is_named_once() {
        let choices = ["h200-sxm-141", "h100-sxm-80+", "cpu"].map(|text| text.parse().unwrap());
        let classes = ClassChoice::classes_of(&choices);
        let names: Vec<_> = classes.iter().map(Class::as_str).collect();
        assert_eq!(
            names,
            ["h200-sxm-141", "h100-sxm-80", "b200-sxm-180", "cpu"]
        );
    }
}
