//! A mutex without poisoning.
//!
//! What these crates guard by a mutex is never left half changed by a panic: each change is one assignment or one call.
//! So a panic in one thread is no reason for another to fail.

use std::fmt;
use std::sync::{LockResult, PoisonError};

pub use std::sync::MutexGuard;

/// A mutual exclusion lock that stays usable after a panic.
#[derive(Default)]
pub struct Mutex<T: ?Sized>(std::sync::Mutex<T>);

impl<T> Mutex<T> {
    /// A lock around `value`.
    pub const fn new(value: T) -> Self {
        Self(std::sync::Mutex::new(value))
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Blocks the thread until it holds the lock.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        unpoisoned(self.0.lock())
    }

    /// The value, when the lock is given up.
    pub fn into_inner(self) -> T
    where
        T: Sized,
    {
        unpoisoned(self.0.into_inner())
    }

    /// The value, without locking: `&mut self` proves that no other thread has it.
    pub fn get_mut(&mut self) -> &mut T {
        unpoisoned(self.0.get_mut())
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The guard or value that a lock or a condition variable returns, after a panic as well.
pub fn unpoisoned<T>(result: LockResult<T>) -> T {
    result.unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_with_the_lock_held_leaves_it_usable() {
        let lock = std::sync::Arc::new(Mutex::new(1));
        let other = lock.clone();
        let thread = std::thread::spawn(move || {
            let _guard = other.lock();
            panic!("with the lock held");
        });
        assert!(thread.join().is_err());
        assert_eq!(*lock.lock(), 1);
    }
}
