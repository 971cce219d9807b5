"""One build by several processes on a shared file system, which need no lock and no other connection."""
