//! Sessions in a real axum application.
