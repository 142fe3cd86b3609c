import { Refusal } from '@/lib/answers'
import { createAdminClient } from '@/lib/supabase'

export async function bookableEvent(eventId: string) {
  const supabase = createAdminClient()
  const { data: event, error } = await supabase
    .from('events')
    .select('id, name, date, time, capacity, event_status')
    .eq('id', eventId)
    .maybeSingle()
  if (error) throw error
  if (!event) throw new Refusal(404, 'NOT_FOUND', 'Event not found')
  if (event.event_status !== 'scheduled') {
    throw new Refusal(400, 'EVENT_NOT_AVAILABLE', 'Event is not available for booking')
  }
  if (event.capacity === null) return { event, seatsLeft: null }
  const { data: bookings, error: unread } = await supabase.from('bookings').select('seats').eq('event_id', eventId)
  if (unread) throw unread
  const taken = bookings.reduce((sum, booking) => sum + (booking.seats ?? 0), 0)
  if (taken >= event.capacity) throw new Refusal(400, 'EVENT_FULL', 'Event is fully booked')
  return { event, seatsLeft: event.capacity - taken }
}
