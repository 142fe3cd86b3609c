-- title = "Let messages.customer_id be null"
-- button = "Let it be null"
-- table = "messages"
-- cures = ["null_refused:messages.customer_id"]
-- lock = "ACCESS EXCLUSIVE on messages for milliseconds; a mark in the catalog, no scan"
-- lock_timeout = "2s"
-- statement_timeout = "15s"
-- verify = "select exists (select from pg_catalog.pg_attribute where attrelid = 'public.messages'::pg_catalog.regclass and attname = 'customer_id' and not attisdropped and not attnotnull) and not exists (select from pg_catalog.pg_constraint where conrelid = 'public.messages'::pg_catalog.regclass and conname = 'messages_customer_id_present')"
-- visible = ["messages.customer_id"]
-- undone_by = "messages_customer_id_not_null"
-- allows = ["ban-drop-not-null", "ban-drop-constraint"]
-- because = "The code that is served writes null there for a new customer; each of its texts is lost until then. The check is what the way back leaves behind where it stopped half way: it refuses nulls as well."

alter table public.messages alter column customer_id drop not null;
alter table public.messages drop constraint if exists messages_customer_id_present;
