"""The readers: a module or package for each database, which states what it reads and turns official files into rows."""
