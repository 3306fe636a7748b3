//! How large the terminal is.

use rustix::termios::tcgetwinsize;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) rows: u16,
    pub(crate) columns: u16,
}

impl Size {
    /// Of the terminal on stdout; none where it is not one or does not know.
    pub(crate) fn of_stdout() -> Option<Size> {
        let size = tcgetwinsize(std::io::stdout()).ok()?;
        let known = size.ws_row != 0 || size.ws_col != 0;
        known.then_some(Size {
            rows: size.ws_row,
            columns: size.ws_col,
        })
    }
}
