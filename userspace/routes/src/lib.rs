//! Next hops from the kernel's routes and neighbours, as immutable snapshots.
