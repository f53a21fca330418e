-- Version 2: what a second engine and several processes need has the same name in both dialects. Here nothing had another.

SELECT 1;
