"""What leaves the machine: datasets published within what licences permit, rebuilt elsewhere, and verified."""
