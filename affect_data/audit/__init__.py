"""Audits: what is wrong, or probably wrong, with the labels and pictures of a dataset.

An audit is one small class (`affect_data.audit.base.Audit`), registered in `affect_data.audit.registry`. `affect_data.audit.run.run_audits` runs them
and writes ``audit.parquet``. No audit changes a label.
"""
