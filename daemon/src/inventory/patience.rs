use std::{sync::mpsc, thread, time::Duration};

/// What `ask` answers, which may be about a disk that hangs; `None` if it takes longer than `patience`. It is asked on a
/// thread of its own, which is left to itself then.
pub(crate) fn patiently<T: Send + 'static>(
    patience: Duration,
    ask: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (sender, answer) = mpsc::sync_channel(1);
    thread::spawn(move || drop(sender.send(ask())));
    answer.recv_timeout(patience).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_answer_is_left_to_itself() {
        assert_eq!(patiently(Duration::from_secs(60), || 7), Some(7));
        let (sender, never) = mpsc::channel::<u32>();
        assert_eq!(patiently(Duration::ZERO, move || never.recv()), None);
        drop(sender);
    }
}
