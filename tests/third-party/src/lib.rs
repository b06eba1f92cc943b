//! A session store written from the README alone, proven by the conformance suite.
