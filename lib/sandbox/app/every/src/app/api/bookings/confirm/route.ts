import { NextResponse } from 'next/server'
import { databaseError, Refusal, refused } from '@/lib/answers'
import { newCustomer, PLACEHOLDER } from '@/lib/customers'
import { pendingBooking } from '@/lib/pending'
import { recordConfirmed } from '@/lib/sms/record'
import { createAdminClient } from '@/lib/supabase'

export async function POST(request: Request) {
  try {
    return NextResponse.json({ success: true, booking_id: await confirm(await request.json()) })
  } catch (error) {
    return error instanceof Refusal ? refused(error) : databaseError('Failed to confirm the booking')
  }
}

async function confirm(body: { token: string; first_name?: string; last_name?: string; seats?: number }) {
  const supabase = createAdminClient()
  const pending = await pendingBooking(body.token)
  if (!pending) throw new Refusal(404, 'NOT_FOUND', 'Booking not found')
  if (pending.confirmed_at) throw new Refusal(400, 'VALIDATION_ERROR', 'This booking has already been confirmed')
  if (new Date(pending.expires_at) < new Date()) throw new Refusal(400, 'VALIDATION_ERROR', 'This link has expired')
  const firstName = body.first_name || PLACEHOLDER
  const lastName = body.last_name || ''
  let customerId = pending.customer_id
  if (customerId === null) {
    customerId = (await newCustomer(pending.mobile_number, firstName, lastName)).id
  } else {
    const { error } = await supabase
      .from('customers')
      .update({ first_name: firstName, last_name: lastName })
      .eq('id', customerId)
      .eq('first_name', PLACEHOLDER)
    if (error) throw error
  }
  const seats = body.seats || 1
  const { data: booking, error } = await supabase
    .from('bookings')
    .insert({ customer_id: customerId, event_id: pending.event_id, seats })
    .select('id')
    .single()
  if (error) throw error
  const { error: unconfirmed } = await supabase
    .from('pending_bookings')
    .update({ confirmed_at: new Date().toISOString(), booking_id: booking.id, customer_id: customerId, seats })
    .eq('id', pending.id)
  if (unconfirmed) throw unconfirmed
  await recordConfirmed(pending, customerId)
  await supabase.from('audit_logs').insert({
    operation_type: 'create',
    resource_type: 'booking',
    resource_id: booking.id,
    operation_status: 'success',
  })
  await supabase.from('background_jobs').insert({
    type: 'update_customer_stats',
    payload: { booking_id: booking.id },
    scheduled_for: new Date().toISOString(),
  })
  return booking.id
}
