//! state map
