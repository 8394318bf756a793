"""One portrait and any speech in, a talking video out whose lips are on time."""
