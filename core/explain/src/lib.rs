//! What a gateway document makes of one request, stage by stage, and why.
