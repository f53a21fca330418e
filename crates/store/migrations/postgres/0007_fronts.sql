-- Where claims look while a snapshot keeps rows that are gone is remembered by each process: rows that say so would be kept as well.
DROP TABLE fronts;
