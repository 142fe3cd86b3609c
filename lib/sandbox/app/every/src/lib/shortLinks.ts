import { randomBytes } from 'node:crypto'
import { createAdminClient } from '@/lib/supabase'

const LINK_LIFE = 24 * 60 * 60 * 1000

export async function shortLink(destination: string, eventId: string) {
  const code = randomBytes(4).toString('base64url').slice(0, 6)
  const { error } = await createAdminClient()
    .from('short_links')
    .insert({
      short_code: code,
      destination_url: destination,
      link_type: 'booking_confirmation',
      metadata: { type: 'booking_confirmation', event_id: eventId },
      expires_at: new Date(Date.now() + LINK_LIFE).toISOString(),
    })
  if (error) throw error
  return `${process.env.NEXT_PUBLIC_APP_URL}/l/${code}`
}
