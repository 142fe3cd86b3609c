import { NextResponse } from 'next/server'
import { databaseError, Refusal, refused, systemError } from '@/lib/answers'
import { authorisedKey, logUsage } from '@/lib/apiKeys'
import { customerByMobile } from '@/lib/customers'
import { bookableEvent } from '@/lib/events'
import { e164 } from '@/lib/phone'
import { customerOfText, recordText } from '@/lib/sms/record'
import { sendText } from '@/lib/sms/send'
import { shortLink } from '@/lib/shortLinks'
import { createAdminClient } from '@/lib/supabase'

const LINK_LIFE = 24 * 60 * 60 * 1000

export async function POST(request: Request) {
  const startedAt = performance.now()
  let key
  try {
    key = await authorisedKey(request)
  } catch (error) {
    return error instanceof Refusal ? refused(error) : systemError()
  }
  let answer
  try {
    answer = NextResponse.json(await book(request, key.id), { status: 201 })
  } catch (error) {
    answer = error instanceof Refusal ? refused(error) : databaseError('Failed to create the pending booking')
  }
  await logUsage(key.id, answer.status, startedAt)
  return answer
}

async function book(request: Request, keyId: string) {
  const body = await request.json()
  const mobile = e164(body.mobile_number)
  const { event, seatsLeft } = await bookableEvent(body.event_id)
  const known = await customerByMobile(mobile)
  if (known && (known.sms_opt_in === false || known.messaging_status === 'opted_out')) {
    throw new Refusal(400, 'SMS_OPT_OUT', 'This customer has opted out of SMS messages')
  }
  const customer = known ?? (await customerOfText(mobile))
  const { data: pending, error } = await createAdminClient()
    .from('pending_bookings')
    .insert({
      event_id: event.id,
      mobile_number: mobile,
      customer_id: customer?.id ?? null,
      expires_at: new Date(Date.now() + LINK_LIFE).toISOString(),
      initiated_by_api_key: keyId,
    })
    .select('id, token, expires_at')
    .single()
  if (error) throw error
  const page = `${process.env.NEXT_PUBLIC_APP_URL}/booking-confirmation/${pending.token}`
  const link = await shortLink(page, event.id)
  const name = known?.first_name ?? 'there'
  const text = await sendText(
    mobile,
    `The Lantern Arms: Hi ${name}, please confirm your booking for ${event.name} on ${event.date} at ${event.time}: ${link}`,
  )
  if (text) await recordText(pending.id, customer?.id ?? null, text)
  return {
    status: 'pending',
    booking_token: pending.token,
    confirmation_url: page,
    expires_at: pending.expires_at,
    event: { id: event.id, name: event.name, date: event.date, time: event.time, available_seats: seatsLeft },
    customer_exists: known !== null,
    sms_sent: text !== null,
  }
}
