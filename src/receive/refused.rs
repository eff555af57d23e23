//! Why a request was not taken, in the distinctions that a sender acts on.

/// What senders are told to wait before they try again, seconds: a seal takes a second or two.
pub const RETRY_AFTER_S: u32 = 5;

/// Why nothing of a request was taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The data is at fault and will be refused again; the sentence says where.
    #[error("{0}")]
    Bad(String),
    /// A limit of one request is exceeded: send less at a time.
    #[error("{0}")]
    TooLarge(String),
    /// A content type or encoding that is not understood.
    #[error("{0}")]
    Unsupported(String),
    /// No room at the moment: send it again after [`RETRY_AFTER_S`].
    #[error("{0}")]
    Full(String),
    /// Something failed here: send it again later.
    #[error("{0}")]
    Failed(String),
}

impl Refused {
    /// The word for it in metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Bad(_) => "bad_data",
            Self::TooLarge(_) => "too_large",
            Self::Unsupported(_) => "unsupported",
            Self::Full(_) => "full",
            Self::Failed(_) => "failed",
        }
    }
}

impl From<wire::Malformed> for Refused {
    fn from(why: wire::Malformed) -> Self {
        Self::Bad(why.to_string())
    }
}
