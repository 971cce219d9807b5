"""Pictures for audits: one pass over all of them, hashes, copies, and a face detector."""
