//! The task that does what is in the queue of [`LogWork`](crate::log_work::LogWork), on the blocking pool.

use std::sync::{Arc, Weak};

use highwater_env::lock::Mutex;
use highwater_env::run_blocking;

use crate::context::Context;
use crate::log_work::Done;
use crate::metadata::MetadataFollower;
use crate::stop::{Stop, until_stopped};

/// Works until told to stop. What is left in the queue then is done after the next start.
pub(crate) async fn work(context: Arc<Context>, metadata: Weak<Mutex<MetadataFollower>>, mut stop: Stop) {
    loop {
        let (name, job) = tokio::select! {
            next = context.log_work.next() => next,
            () = until_stopped(&mut stop) => return,
        };
        let (name, done) = run_blocking(move || {
            let done = job.run(&name);
            (name, done)
        })
        .await;
        context.log_work.free(&name);
        let is_recovered = matches!(done, Done::Opened { .. });
        let Some(metadata) = metadata.upgrade() else { return };
        metadata.lock().on_work_done(&name, done);
        if is_recovered {
            context.log_work.on_recovered();
        }
        if *stop.borrow() {
            return;
        }
    }
}
