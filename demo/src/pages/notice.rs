//! The line at the head of a page that says what was just done. It comes in the address, as one of
//! these words, so that nothing has to be stored for it.

use serde::Deserialize;

/// What was just done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Notice {
    SignedIn,
    SignedOut,
    SignedOutOthers,
    SignedOutEverywhere,
    DeviceSignedOut,
    DeviceGone,
    Ordered,
    SignInFirst,
    SignInAgain,
    #[serde(other)]
    Nothing,
}

/// The query of a page.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Query {
    #[serde(default)]
    notice: Option<Notice>,
    #[serde(default)]
    pub(crate) next: Next,
}

impl Query {
    pub(crate) fn notice(&self) -> Option<Notice> {
        self.notice.filter(|notice| *notice != Notice::Nothing)
    }
}

/// Where to go after a sign-in. Never a URL that somebody else chose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Next {
    Devices,
    #[default]
    #[serde(other)]
    Shop,
}

impl Next {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Shop => "shop",
            Self::Devices => "devices",
        }
    }

    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Shop => "/",
            Self::Devices => "/devices",
        }
    }
}

impl Notice {
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::SignedIn => "You are signed in: with a new session, a new id and a new cookie.",
            Self::SignedOut => "You are signed out, and the session is gone from the server.",
            Self::SignedOutOthers => "All your other devices are signed out.",
            Self::SignedOutEverywhere => "You are signed out everywhere.",
            Self::DeviceSignedOut => "That device is signed out.",
            Self::DeviceGone => "That device was signed out already.",
            Self::Ordered => "Thank you! Your order is on its way to nowhere; the cart is empty.",
            Self::SignInFirst => "Sign in first.",
            Self::SignInAgain => "You signed in a while ago: show that it is still you.",
            Self::Nothing => "",
        }
    }

    /// The word for it in an address.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::SignedIn => "signed-in",
            Self::SignedOut => "signed-out",
            Self::SignedOutOthers => "signed-out-others",
            Self::SignedOutEverywhere => "signed-out-everywhere",
            Self::DeviceSignedOut => "device-signed-out",
            Self::DeviceGone => "device-gone",
            Self::Ordered => "ordered",
            Self::SignInFirst => "sign-in-first",
            Self::SignInAgain => "sign-in-again",
            Self::Nothing => "nothing",
        }
    }
}
