//! Values that a test gives in place of what the environment configures.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::Job;

/// Values by their type. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Injected(Arc<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>);

impl Injected {
    /// The same values and this one.
    pub(crate) fn with<T: Send + Sync + 'static>(&self, value: T) -> Self {
        let mut values = HashMap::clone(&self.0);
        values.insert(TypeId::of::<T>(), Arc::new(value));
        Self(Arc::new(values))
    }

    fn get<T: Clone + 'static>(&self) -> Option<T> {
        self.0.get(&TypeId::of::<T>())?.downcast_ref().cloned()
    }
}

impl fmt::Debug for Injected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Injected").field("values", &self.0.len()).finish()
    }
}

impl Job {
    /// The value that a test has injected; `None` outside of tests. For the SDK's own helpers.
    #[doc(hidden)]
    pub fn injected<T: Clone + 'static>(&self) -> Option<T> {
        self.injected.get()
    }

    pub(crate) fn with_injected(mut self, injected: &Injected) -> Self {
        self.injected = injected.clone();
        self
    }
}
