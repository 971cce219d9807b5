"""The readers: one module a database, each states what it reads and turns official files into rows."""
