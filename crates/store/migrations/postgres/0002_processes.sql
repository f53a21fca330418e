-- Version 2: what a second engine and several processes need has the same name in both dialects.

-- What the engine of steps is told after an effect was committed, where the two do not share a transaction. Ids, order and fences, no content.
CREATE TABLE tellings (
  n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, what smallint NOT NULL, step uuid NOT NULL, run_id uuid NOT NULL, kind smallint NOT NULL,
  fence bigint NOT NULL, at bigint, reseller_id uuid NOT NULL, tenant_id uuid NOT NULL, mode smallint NOT NULL
);
