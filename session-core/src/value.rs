//! Values of entries: JSON texts, kept as they are and decoded only when read.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};

/// Deeper than this no value could be decoded: serde_json guards the stack.
const MAX_DEPTH: usize = 127;

/// One JSON text. It comes back from every store byte for byte, `"\u0000"`, `1.0` and white space
/// included.
///
/// ```
/// use session_core::JsonText;
///
/// let text = JsonText::parse("1.0")?;
/// assert_eq!(text.as_str(), "1.0");
/// assert_eq!(text.decode::<f64>()?, 1.0);
/// assert!(JsonText::parse("{").is_err());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct JsonText(Arc<str>);

impl JsonText {
    /// Encodes a value.
    ///
    /// # Errors
    ///
    /// If the value has no JSON form, such as a map whose keys are not texts.
    pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Self, serde_json::Error> {
        serde_json::to_string(value).map(|text| Self(text.into()))
    }

    /// Takes a text as it is, after a check that it is JSON (RFC 8259), nested at most 127 deep.
    ///
    /// # Errors
    ///
    /// If it is not.
    pub fn parse(text: impl AsRef<str>) -> Result<Self, serde_json::Error> {
        let text = text.as_ref();
        serde_json::from_str::<IgnoredAny>(text)?;
        if depth(text) > MAX_DEPTH {
            return Err(serde::de::Error::custom("nested more than 127 deep"));
        }
        Ok(Self(text.into()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Decodes the text.
    ///
    /// # Errors
    ///
    /// If it is not the JSON form of a `T`.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(&self.0)
    }

    /// Takes back a text that a record kept, which was checked when it came in.
    pub(crate) fn kept(text: &str) -> Self {
        Self(text.into())
    }
}

/// How deep arrays and objects are nested in `text`, which is JSON.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

impl fmt::Debug for JsonText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JsonText({} bytes)", self.0.len())
    }
}
