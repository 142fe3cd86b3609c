-- title = "Let short_links.link_type be booking_confirmation"
-- button = "Allow the link type"
-- table = "short_links"
-- cures = ["literal_refused:short_links.link_type"]
-- lock = "ACCESS EXCLUSIVE on short_links for milliseconds; old rows are not checked"
-- lock_timeout = "2s"
-- statement_timeout = "15s"
-- verify = "select pg_catalog.pg_get_constraintdef(oid) like '%booking_confirmation%' from pg_catalog.pg_constraint where conrelid = 'public.short_links'::pg_catalog.regclass and conname = 'short_links_link_type_check'"
-- visible = ["short_links.link_type"]
-- cannot_be_undone = "The narrower check would refuse the links that were made since."
-- allows = ["ban-drop-constraint"]
-- because = "The check is replaced in the same transaction by one that allows all that it did, and one word more."

alter table public.short_links drop constraint if exists short_links_link_type_check;
alter table public.short_links add constraint short_links_link_type_check check (
    link_type in (
        'loyalty_portal', 'event_checkin', 'promotion', 'reward_redemption', 'custom', 'booking_confirmation'
    )
) not valid;
