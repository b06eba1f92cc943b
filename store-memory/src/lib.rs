//! An in-process session store that never drops a live session silently.
