//! A queue that usually has no item or one.

use std::collections::VecDeque;

/// First in, first out. The first item is stored inline, and an empty queue keeps no memory,
/// because every connection has such queues.
#[derive(Debug)]
pub(super) struct Fifo<T> {
    first: Option<T>,
    rest: VecDeque<T>,
}

impl<T> Fifo<T> {
    pub(super) fn new() -> Self {
        Self { first: None, rest: VecDeque::new() }
    }

    pub(super) fn push(&mut self, item: T) {
        // Invariant: without a first item there is no rest.
        match self.first {
            None => self.first = Some(item),
            Some(_) => self.rest.push_back(item),
        }
    }

    pub(super) fn pop(&mut self) -> Option<T> {
        let item = self.first.take();
        if self.rest.capacity() > 0 {
            self.first = self.rest.pop_front();
            if self.rest.is_empty() {
                self.rest = VecDeque::new();
            }
        }
        item
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new();
    }

    pub(super) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.rest.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_first_comes_out_first_and_an_empty_queue_keeps_nothing() {
        let mut queue = Fifo::new();
        for round in 1..4 {
            (0..round).for_each(|item| queue.push(item));
            queue.push(round);
            assert_eq!(queue.len(), round + 1);
            assert!((0..=round).all(|item| queue.pop() == Some(item)));
            assert_eq!((queue.pop(), queue.len(), queue.rest.capacity()), (None, 0, 0));
        }
        queue.push(7);
        queue.push(8);
        queue.clear();
        assert_eq!(queue.pop(), None);
    }
}
