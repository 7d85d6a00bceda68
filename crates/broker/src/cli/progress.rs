//! Progress of long work, on standard error and only when that is a terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar, or nothing where nobody looks.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// A bar for `total` steps.
    pub(crate) fn new(total: u64, what: &'static str) -> Self {
        let style = ProgressStyle::with_template("{msg} [{bar:30}] {pos}/{len} {elapsed}");
        let bar = ProgressBar::new(total).with_message(what);
        if let Ok(style) = style {
            bar.set_style(style.progress_chars("=> "));
        }
        Self(bar)
    }

    /// Says how many steps are done.
    pub(crate) fn done(&self, steps: u64) {
        self.0.set_position(steps);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
