//! Sessions over HTTP: cookies, headers and one framework-neutral request/response step.
