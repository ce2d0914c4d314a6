DROP TABLE erasures, suppressed_people;
