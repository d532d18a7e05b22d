//! What functions declare of themselves, collected when the program is linked.

use scheduler_core::{JobSpec, NameError};

use crate::scheduler::NewJob;
use crate::task::Tasks;

/// One declared function. Made by the attributes only.
#[doc(hidden)]
#[derive(Debug)]
pub struct Declared {
    task: &'static str,
    register: fn(&mut Tasks) -> Result<(), NameError>,
    /// The job as typed, in JSON, where it is one.
    job: Option<&'static str>,
    /// The function's path.
    function: &'static str,
}

inventory::collect!(Declared);

impl Declared {
    /// A declaration.
    #[must_use]
    pub const fn new(
        task: &'static str,
        register: fn(&mut Tasks) -> Result<(), NameError>,
        job: Option<&'static str>,
        function: &'static str,
    ) -> Self {
        Self {
            task,
            register,
            job,
            function,
        }
    }

    pub(crate) const fn task(&self) -> &'static str {
        self.task
    }

    pub(crate) fn register(&self, tasks: &mut Tasks) -> Result<(), NameError> {
        (self.register)(tasks)
    }

    pub(crate) fn job(&self) -> Option<NewJob> {
        let spec = serde_json::from_str::<JobSpec>(self.job?);
        Some(NewJob::from(spec.unwrap_or_else(|error| {
            unreachable!("the attribute read it by the same rules: {error}")
        })))
    }
}

/// All that was declared in this program, in the order of the functions' paths.
pub(crate) fn declarations() -> Vec<&'static Declared> {
    let mut declared: Vec<_> = inventory::iter::<Declared>.into_iter().collect();
    declared.sort_by_key(|declared| declared.function);
    declared
}
