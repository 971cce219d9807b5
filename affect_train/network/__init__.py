"""The network: a vision backbone of transformers with a head for every task, and a recurrent stage over frames."""
