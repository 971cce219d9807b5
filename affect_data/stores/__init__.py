"""Object stores and other addresses: databases are copied from them, finished datasets to them."""
