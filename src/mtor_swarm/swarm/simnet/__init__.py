"""The gossip's own simulator: thousands of machines in virtual time, with what may befall them."""
