"""What audits need to know of pictures: one pass over them, hashes, copies, faces found in them."""
