//! The validator at one moment, as the queries see it.

use dht_core::{Now, Overlay};
use dht_query::Judge;
use dht_records::Validator;

pub(crate) struct Judged<'a, O: Overlay> {
    pub(crate) validator: &'a dyn Validator<O>,
    pub(crate) now: Now,
}

impl<O: Overlay> Judge<O> for Judged<'_, O> {
    fn is_valid(&self, query: &O::Query, item: &O::Item) -> bool {
        self.validator.check(query, item, self.now).is_ok()
    }

    fn best(&self, query: &O::Query, items: &[O::Item]) -> Option<usize> {
        self.validator.best(query, items)
    }
}
