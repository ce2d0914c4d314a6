-- What is deleted for its age is not there any more for whoever computes from it again.
SET LOCAL lock_timeout = '5s';

CREATE TABLE retention_marks (
    what text PRIMARY KEY CHECK (what IN ('touchpoints')),
    -- Of older ones some or all were deleted. It never moves back: a longer retention brings nothing back.
    gone_before timestamptz NOT NULL
);
