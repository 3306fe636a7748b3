//! Every failure inside the agent as the error the host sees.

use std::error::Error;

use hull_protocol::agent::{AgentError, ErrorKind};

use crate::cgroup::CgroupError;
use crate::container::blueprint::BlueprintError;
use crate::container::launch::LaunchError;
use crate::journal::OutOfRange;
use crate::platform::PlatformError;
use crate::process::ProcessError;
use crate::process::wiring::WiringError;

/// An error of this kind with these words.
pub(crate) fn fault(kind: ErrorKind, message: impl Into<String>) -> AgentError {
    AgentError {
        kind,
        message: message.into(),
    }
}

/// The error and its causes in one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

/// The kind of each error, and its words with their causes.
macro_rules! faults {
    ($($error:ty => $kind:expr;)*) => {$(
        impl From<$error> for AgentError {
            fn from(error: $error) -> Self {
                let kind: fn(&$error) -> ErrorKind = $kind;
                fault(kind(&error), chain(&error))
            }
        }
    )*};
}

faults! {
    BlueprintError => |e| match e {
        BlueprintError::NoCommand => ErrorKind::ProgramNotFound,
        _ => ErrorKind::Invalid,
    };
    CgroupError => |_| ErrorKind::System;
    OutOfRange => |_| ErrorKind::Invalid;
    PlatformError => |e| match e {
        PlatformError::NoLayers | PlatformError::TooManyLayers { .. } => ErrorKind::Invalid,
        PlatformError::System { .. } => ErrorKind::System,
    };
    ProcessError => |e| match e {
        ProcessError::Ended(_) => ErrorKind::NoSuchProcess,
        ProcessError::NoTerminal(_) | ProcessError::NoStdin(_) | ProcessError::Running(_) => {
            ErrorKind::State
        }
        ProcessError::BadSignal(_) => ErrorKind::Invalid,
        ProcessError::Watch { .. }
        | ProcessError::Signal { .. }
        | ProcessError::Resize { .. } => ErrorKind::System,
    };
    WiringError => |_| ErrorKind::System;
}

impl From<LaunchError> for AgentError {
    fn from(error: LaunchError) -> Self {
        match error {
            LaunchError::Refused(refused) => refused,
            other => fault(ErrorKind::System, chain(&other)),
        }
    }
}
