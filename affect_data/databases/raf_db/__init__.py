"""RAF-DB: one of seven basic expressions, or one of eleven compound ones, for each of thirty thousand web photographs."""
